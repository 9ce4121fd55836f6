"""Pong Soup in the emulator, and MiniPong beside it."""
