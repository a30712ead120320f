"""What will run: JobSpec + manifest -> Plan. Pure functions; a plan is data and prints itself.

folds.split_participants -> stages.chain -> trials.plan_trials -> plan.Plan

Must not import torch, ray, mlflow or kubernetes.
"""
