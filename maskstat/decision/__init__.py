"""Whether another decision than argmax helps a network, judged on groups it was not chosen on."""
