"""The program: command line, configuration, wiring, message catalogues."""
