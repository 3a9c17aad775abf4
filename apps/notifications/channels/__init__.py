"""Handler process: the channels behind one interface: each sends to one recipient, and says what came of it."""
