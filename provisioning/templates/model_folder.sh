# Prints what keeps a folder from being served as a model, or `complete`: model_folder.sh FOLDER ACCOUNT
[ -d "$1" ] || { echo "there is no such folder that $2 can see"; exit; }
cd "$1" 2>/dev/null || { echo "$2 cannot enter it"; exit; }
[ -r config.json ] || { echo "it has no config.json that $2 can read"; exit; }
weights=
for file in ./*.safetensors ./*.bin ./*.gguf ./*.pt; do ! [ -e "$file" ] || { weights=$file; break; }; done
[ -n "$weights" ] || { echo 'it has no weights'; exit; }
# A pointer has some 130 bytes, and hardly anything else of a model has.
pointer=$(find -L . -maxdepth 1 -name '*.*' -type f -size +99c -size -200c \
    -exec grep -l '^version https://git-lfs.github.com/spec/v1' {} + 2>/dev/null)
[ -z "$pointer" ] || {
    pointer=${pointer%%"
"*}
    echo "${pointer#./} is a pointer of git-lfs, and not the file itself: git lfs pull"
    exit
}
for index in ./*.index.json; do
    [ -r "$index" ] || continue
    here='' lacking=''
    for part in $(grep -oE '"[^" ]+\.(safetensors|bin)"' "$index" | sort -u | tr -d '"'); do
        if [ -e "$part" ]; then here=$part; else lacking=$part; fi
    done
    [ -z "$here" ] || [ -z "$lacking" ] || { echo "it has no $lacking, which ${index#./} names"; exit; }
done
echo complete
