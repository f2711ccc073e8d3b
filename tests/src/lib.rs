//! Scenarios that load the built images into drydock.
