"""What training and the bot must agree on: text, tokens, network, bundle, inference."""
