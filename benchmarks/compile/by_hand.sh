# `pip wheel` of the source that the program has fetched into the folder $1, as a person types it, with $2 jobs.
set -eu
rm -rf /srv/by-hand
mkdir -p /srv/by-hand
cd /srv/by-hand
tree=$(sed 's/.*"source": "\([^"]*\)".*/\1/' "$1/fetched.json")
cp -r "$tree" source
rm -rf source/build source/.deps
python3.11 -m venv venv
PATH=/srv/by-hand/venv/bin:$PATH
pip install -q --disable-pip-version-check -r "$1/requirements.txt" "torch==$3"
export VLLM_TARGET_DEVICE=cpu MAX_JOBS="$2" CMAKE_BUILD_PARALLEL_LEVEL="$2" CC=gcc-12 CXX=g++-12 CCACHE_DISABLE=1
export SETUPTOOLS_SCM_PRETEND_VERSION="$4" FETCHCONTENT_SOURCE_DIR_ONEDNN=/srv/onednn
began=$(date +%s)
pip wheel -v --no-build-isolation --no-deps -w wheels ./source >log 2>&1
echo "seconds=$(($(date +%s) - began))"
