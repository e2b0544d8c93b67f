"""The commands of the command line `clipassistnet`, a module each."""
