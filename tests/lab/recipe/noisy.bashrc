# Noisy on purpose, in shells nobody types into as well: sshd starts bash, and bash reads this file.
# A tool that takes all of stdout for its own answer fails on such accounts, and real accounts are
# like this.
echo "welcome to $(hostname), have a nice day"
echo "warning: your home directory is 97% full" >&2
