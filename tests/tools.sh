# Sourced by the scripts beside it: fetches the outside tools they need into target/tools, once, each package into a folder of
# its own. A function that cannot fetch says nothing and fails: what that means is the script's to say.

tools=$PWD/target/tools

# npm_package NAME VERSION: prints the folder of the installed package.
npm_package() {
    local folder=$tools/npm/${1##*/}-$2
    if [ ! -d "$folder/node_modules/$1" ]; then
        mkdir -p "$folder"
        npm install --silent --ignore-scripts --prefix "$folder" "$1@$2" >/dev/null 2>&1 || return 1
    fi
    echo "$folder/node_modules/$1"
}

# pip_packages NAME==VERSION...: prints the folder of a virtual environment that has them, named by the first.
pip_packages() {
    local folder=$tools/pip/${1/==/-}
    if [ ! -e "$folder/complete" ]; then
        { python3 -m venv "$folder" && "$folder/bin/pip" install -q "$@" && touch "$folder/complete"; } >/dev/null 2>&1 || return 1
    fi
    echo "$folder"
}

# skip WHAT WHY: says loudly that something is not done here, and ends the script as if it had been.
skip() {
    echo "SKIP: $1: $2" >&2
    exit 0
}
