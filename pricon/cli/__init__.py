"""The command line: arguments in, exit code out. Prints; decides nothing.

main -> submit | corpus -> launch.submit -> progress, tables
"""
