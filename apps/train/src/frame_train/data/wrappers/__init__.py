"""Data sets made of another one."""
