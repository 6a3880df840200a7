"""THE DATA: how each department is asked, and how little of its answer comes back.

Read in this order: `errors` (what may go wrong), `source` (the contract), `transport` (the wire), `minimise` (the
law of the answer), `excess` (the second pair of eyes), `registry` (which dataset is asked where).
"""
