"""The demo: thirty customers, five working days, the whole stack, public HTTP alone.

python -m deploy.demo [--seed N] [--kill SERVICE|each] [--counts FILE]
"""
