"""Pure rules: time and chance are arguments, nothing is read or written; a model can drive them through all cases."""
