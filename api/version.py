"""The version of the program, as its description and its traces name it."""

VERSION = "0.2.0"
