"""The judgement: pure functions from department records to a decision-ready assessment.

``assessment.assess`` is the door. Beneath it stand, in order of import: ``errors`` (what cannot be judged),
``invoices`` (typed monthly arrays), ``characteristics`` (what is measured), ``scorecard`` (what it is worth),
``coverage`` (what was there to look at). Cards lie in ``cards/`` as data with a model card beside each.
``training`` makes a card from facts; it alone needs numpy, and only while it runs.
No function here reads a clock, a socket or, apart from the named card and fact files, the disk.
"""
