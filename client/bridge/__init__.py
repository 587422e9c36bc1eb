"""What QML may see of the program: state to read, verbs to call, list models."""
