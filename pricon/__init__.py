"""Privileged contrastive pretraining, compared arm by arm in participant-wise cross-validation.

spec -> plan -> launch -> worker -> report
"""

__version__ = "0.1.0"
