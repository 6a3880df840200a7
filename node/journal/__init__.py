"""The journal: a C2SP tlog-tiles transparency log of everything that was asked, given and refused."""
