find_package(Python REQUIRED COMPONENTS Interpreter Development.SABIModule)

set(FETCHCONTENT_SOURCE_DIR_ONEDNN "$ENV{FETCHCONTENT_SOURCE_DIR_ONEDNN}" CACHE PATH "Path to a local oneDNN source directory.")
if(FETCHCONTENT_SOURCE_DIR_ONEDNN)
    FetchContent_Declare(oneDNN SOURCE_DIR ${FETCHCONTENT_SOURCE_DIR_ONEDNN})
else()
    FetchContent_Declare(
        oneDNN
        GIT_REPOSITORY https://github.com/oneapi-src/oneDNN.git
        GIT_TAG        v3.13
    )
endif()
FetchContent_MakeAvailable(oneDNN)

# Halfway, so that a test can interrupt a compilation: see HOLD and HEAVY.
add_custom_command(
    OUTPUT held.cpp
    COMMAND sh -c "i=0; while [ -e /srv/hold ] && [ $i -lt 600 ]; do sleep 0.1; i=$((i + 1)); done; echo 'int held() { return 0; }' >held.cpp"
    VERBATIM
)
if(EXISTS /srv/heavy)
    set(HEAVY csrc/heavy.cpp)
endif()
foreach(number RANGE 1 12)
    file(WRITE ${CMAKE_BINARY_DIR}/part${number}.cpp "int part${number}() { return ${number}; }\n")
    list(APPEND PARTS ${CMAKE_BINARY_DIR}/part${number}.cpp)
endforeach()
foreach(name _C _C_AVX512 _C_AVX2)
    add_library(${name} MODULE csrc/torch_bindings.cpp ${PARTS})
    target_link_libraries(${name} PRIVATE Python::SABIModule dnnl)
    target_compile_definitions(${name} PRIVATE Py_LIMITED_API=0x03080000)
    set_target_properties(${name} PROPERTIES PREFIX "" SUFFIX ".abi3.so")
endforeach()
target_sources(_C PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/held.cpp ${HEAVY})
