"""From counts to class weights, and what constant predictions cost under them."""
