# One place for what every target of the project has in common.

# Assertions stay in, in every build: a broken invariant must not go on to serve.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g")

option(PGWEIR_WERROR "Treat warnings as errors" ON)
option(PGWEIR_FUZZ "Build the fuzzers (clang only)" OFF)
# On in the release preset; what it costs is in docs/security.md.
option(PGWEIR_HARDEN "What makes a memory error harder to exploit" OFF)
set(PGWEIR_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize= takes them")

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(pgweir_options INTERFACE)
target_include_directories(pgweir_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(pgweir_options INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wnon-virtual-dtor -Wold-style-cast
  $<$<BOOL:${PGWEIR_WERROR}>:-Werror>)
if(PGWEIR_SANITIZE)
  target_compile_options(pgweir_options INTERFACE -fsanitize=${PGWEIR_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(pgweir_options INTERFACE -fsanitize=${PGWEIR_SANITIZE})
endif()
if(PGWEIR_HARDEN)
  include(CheckCXXSourceCompiles)
  # 3 checks sizes that are known at run time only; it wants gcc 12 and glibc 2.35.
  set(CMAKE_REQUIRED_FLAGS "-O2 -D_FORTIFY_SOURCE=3 -Werror")
  check_cxx_source_compiles("#include <cstring>\nint main() { return 0; }" PGWEIR_FORTIFY_3)
  unset(CMAKE_REQUIRED_FLAGS)
  set(pgweir_x86 $<STREQUAL:${CMAKE_SYSTEM_PROCESSOR},x86_64>)
  target_compile_options(pgweir_options INTERFACE -fstack-protector-strong -fstack-clash-protection
    -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$<IF:$<BOOL:${PGWEIR_FORTIFY_3}>,3,2>
    $<${pgweir_x86}:-fcf-protection=return>)
  # The linker says so by itself only where libc's start files do, which Debian's do not.
  target_link_options(pgweir_options INTERFACE $<${pgweir_x86}:-Wl,-z,shstk>)
endif()
# Costs nothing but at the start: what the loader has filled in cannot be written afterwards.
target_link_options(pgweir_options INTERFACE -Wl,-z,relro,-z,now)

# pgweir_library(NAME folder DEPENDS…): the static library of one top-level folder, alias pgweir::NAME.
function(pgweir_library name)
  cmake_parse_arguments(ARG "" "" "EXCLUDE;DEPENDS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  foreach(pattern IN LISTS ARG_EXCLUDE)
    list(FILTER sources EXCLUDE REGEX "${pattern}")
  endforeach()
  if(sources)
    add_library(pgweir_${name} STATIC ${sources})
    target_link_libraries(pgweir_${name} PUBLIC pgweir_options ${ARG_DEPENDS})
  else()
    add_library(pgweir_${name} INTERFACE)
    target_link_libraries(pgweir_${name} INTERFACE pgweir_options ${ARG_DEPENDS})
  endif()
  add_library(pgweir::${name} ALIAS pgweir_${name})
endfunction()
