"""What the gateway is measured against, one module each. Every peer has `build(place) -> ASGI application`."""
