"""Handler process: uploaded images become executions of a state machine; what fails is written down and told."""
