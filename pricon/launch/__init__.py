"""Where it runs: lanes as Ray Train runs or in this process, under one driver.

submit -> driver.run_plan -> inprocess | local -> worker.run_lane

The only importer of ray and kubernetes.
"""

import os

# Read by Ray while it is imported. Whatever else it is told, it prints what its daemons complain of
# into the driver's output: dozens of lines for a node that is gone, of which we have a sentence.
os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".*")  # noqa: TID251 - Ray has no other place
