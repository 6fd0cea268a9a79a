"""Refusals whose remedy says what to do: each is provoked, its remedy applied, and it helps.

Commands and arguments are taken from the message and run as they stand there. Remedies of lava-dl's
files are run in `tests/io/netx/test_front_door.py`, raised limits in `tests/cli/test_allow.py`.
"""
