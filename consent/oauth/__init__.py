"""OAuth 2.0 as this node speaks it: Authlib decides on loaded snapshots, nothing here reads or writes a store."""
