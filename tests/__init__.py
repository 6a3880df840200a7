"""The tests: rules of the house, vectors, properties, journeys; real parts only."""
