"""The sandbox: loopback departments, demonstration firms and the committed facts they speak from."""
