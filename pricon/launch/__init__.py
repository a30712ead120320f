"""Where it runs: lanes as Ray Train runs or in this process, under one driver.

submit -> driver.run_plan -> inprocess | local -> worker.run_lane

The only importer of ray and kubernetes.
"""
