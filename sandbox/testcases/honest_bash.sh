read -r a b
(echo $((a + b))) | sed 's/^/x/' | cut -c 2-
