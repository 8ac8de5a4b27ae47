# Lists what was packed, with hashes: run in the folder that has it.
# What was downloaded is recorded, and the rest of its folder (a clone's objects) is not the model.
files_of() {
    if [ -e "$1/.vllm-provisioning/manifest.json" ]; then
        (cd "$1" && xargs -0 -r printf '%s\n' <.vllm-provisioning/files)
        printf '.vllm-provisioning/%s\n' files state manifest.json
    else
        (cd "$1" && find -L . -name .git -prune -o -type f -printf '%P\n')
    fi | while IFS= read -r file; do stat -L -c '%s %.9Y %n' "$1/$file"; done
}
{
    find debs wheels tools controller{{ ' miniconda conda' if conda else '' }} -type f -name '[!.]*' -printf '%s 0 %p\n'
    for model in models/*; do [ ! -d "$model" ] || files_of "$model"; done
} | sort -k 3 | while IFS= read -r file; do
    # A name may begin or end with a blank.
    path=${file#* * }
    printf '%s %s\n' "$(sha256sum <"$path" | cut -c 1-64)" "$file"
done >list.new
mv list.new list
