"""The law: who may see what, for which purpose, until when.

The ground floor of the tower. It holds the vocabulary everything above speaks (enterprise code, month,
scope, evidence, canonical bytes, sealing), the catalogue, the purpose templates, the grant and the permit,
and OAuth, which is the language in which a bank asks.
"""
