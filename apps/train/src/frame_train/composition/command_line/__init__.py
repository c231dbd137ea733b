"""Words, flags and overrides of a command line, and what was probably meant by a wrong one."""
