# How targets are declared. The flags that all of them share stand in espalier_flags.

add_library(espalier_flags INTERFACE)
target_include_directories(espalier_flags INTERFACE ${PROJECT_SOURCE_DIR})
# A member that has a default needs no initialiser; and where several files are compiled as one, what is in an unnamed
# namespace looks to GCC as if it came from a header.
target_compile_options(espalier_flags INTERFACE -Wall -Wextra -Wno-missing-field-initializers
  $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage> $<$<BOOL:${ESPALIER_WERROR}>:-Werror>)
if(ESPALIER_SANITIZE)
  target_compile_options(espalier_flags INTERFACE -fsanitize=${ESPALIER_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(espalier_flags INTERFACE -fsanitize=${ESPALIER_SANITIZE})
endif()

# Compiling takes most of a sanitized run. So those builds compile several files of a folder as one (which is why no two of them
# have names of the same spelling in their unnamed namespaces), and are not optimised, but for what computes over many numbers.
set(ESPALIER_COMPUTING_FOLDERS common model data trainer)

# espalier_compile_together(<target>): several files of the target as one, which halves their time, but where somebody compiles
# one file again and again: in a debug build.
function(espalier_compile_together target)
  if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON)
  endif()
endfunction()

# espalier_library(<folder> [SOURCES <file>...] [LINK <target>...] [PRIVATE <target>...])
#
# The static library espalier_<folder>. SOURCES default to every .cc of the folder but main.cc. LINK is what its headers
# include; PRIVATE is what only its .cc files include.
function(espalier_library folder)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINK;PRIVATE")
  if(NOT arg_SOURCES)
    file(GLOB arg_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
    list(FILTER arg_SOURCES EXCLUDE REGEX "/main\\.cc$")
  endif()
  if(NOT arg_SOURCES)
    message(WARNING "espalier_${folder} is left out: no .cc file in ${folder}/")
    return()
  endif()
  add_library(espalier_${folder} STATIC ${arg_SOURCES})
  target_link_libraries(espalier_${folder} PUBLIC espalier_flags ${arg_LINK} PRIVATE ${arg_PRIVATE})
  if(ESPALIER_SANITIZE AND folder IN_LIST ESPALIER_COMPUTING_FOLDERS)
    target_compile_options(espalier_${folder} PRIVATE -O1)
  endif()
endfunction()

# espalier_process(<folder> [NAME <executable>] [SOURCES <file>...] [LINK <target>...])
#
# The executable espalier-<folder> (or NAME) in build/<preset>/bin, from the folder's main.cc and its library. MESSAGES:
# it passes on so many that their memory, which another thread frees than the one that asked for it, is better looked
# after by tcmalloc (docs/decisions.md).
function(espalier_process folder)
  cmake_parse_arguments(PARSE_ARGV 1 arg "MESSAGES" "NAME" "SOURCES;LINK")
  if(NOT arg_NAME)
    set(arg_NAME espalier-${folder})
  endif()
  if(NOT arg_SOURCES)
    set(arg_SOURCES main.cc)
  endif()
  foreach(source IN LISTS arg_SOURCES)
    if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${source})
      message(WARNING "${arg_NAME} is left out: no ${folder}/${source}")
      return()
    endif()
  endforeach()
  add_executable(${arg_NAME} ${arg_SOURCES})
  target_link_libraries(${arg_NAME} PRIVATE espalier_flags espalier_${folder} ${arg_LINK})
  if(arg_MESSAGES AND NOT ESPALIER_SANITIZE)
    target_link_options(${arg_NAME} PRIVATE LINKER:--no-as-needed)
    target_link_libraries(${arg_NAME} PRIVATE PkgConfig::tcmalloc)
  endif()
  install(TARGETS ${arg_NAME} RUNTIME DESTINATION bin)
endfunction()

# espalier_add_test(<name> LABEL <label> [TIMEOUT <seconds>] [SERIAL] COMMAND <command>...)
#
# A ctest entry with the environment that all tests get.
function(espalier_add_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL" "LABEL;TIMEOUT" "COMMAND")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  if(ESPALIER_SANITIZE)
    math(EXPR arg_TIMEOUT "${arg_TIMEOUT} * 3")
  endif()
  set(launcher "")
  if(ESPALIER_SANITIZE MATCHES "thread")
    set(launcher ${PROJECT_SOURCE_DIR}/tests/support/without_aslr)
  endif()
  add_test(NAME ${name} COMMAND ${launcher} ${arg_COMMAND})
  set(support ${PROJECT_SOURCE_DIR}/tests/support)
  set_tests_properties(${name} PROPERTIES
    LABELS "${arg_LABEL}"
    TIMEOUT ${arg_TIMEOUT}
    RUN_SERIAL "${arg_SERIAL}"
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    ENVIRONMENT "ESPALIER_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY};PYTHONPATH=${PROJECT_SOURCE_DIR}/client/python;\
PYTHONDONTWRITEBYTECODE=1;TSAN_OPTIONS=suppressions=${support}/tsan.supp halt_on_error=1;\
LSAN_OPTIONS=suppressions=${support}/lsan.supp;UBSAN_OPTIONS=print_stacktrace=1")
endfunction()

# espalier_unit_test(<folder> [<target>...])
#
# <folder>_test from tests/unit/<folder>/*_test.cc, linked with espalier_<folder> and the extra targets. Does nothing where
# the library or the tests are missing.
function(espalier_unit_test folder)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/unit/${folder}/*.cc)
  if(NOT sources OR NOT TARGET espalier_${folder})
    return()
  endif()
  add_executable(${folder}_test ${sources})
  target_link_libraries(${folder}_test PRIVATE espalier_${folder} espalier_test_support GTest::gtest_main ${ARGN})
  espalier_compile_together(${folder}_test)
  target_compile_options(${folder}_test PRIVATE -O0)  # what is tested is optimised; the tests themselves are long to compile
  add_dependencies(unit_tests ${folder}_test)
  espalier_add_test(unit.${folder} LABEL unit TIMEOUT 240 COMMAND $<TARGET_FILE:${folder}_test>)
endfunction()

# espalier_fuzz_test(<name> [<target>...])
#
# fuzz_<name> from tests/fuzz/<name>_fuzz.cc, which calls run_fuzzer() of tests/support/fuzz_driver.h: one second a run.
function(espalier_fuzz_test name)
  add_executable(fuzz_${name} ${PROJECT_SOURCE_DIR}/tests/fuzz/${name}_fuzz.cc)
  target_link_libraries(fuzz_${name} PRIVATE espalier_test_support ${ARGN})
  add_dependencies(fuzz_tests fuzz_${name})
  espalier_add_test(fuzz.${name} LABEL fuzz COMMAND $<TARGET_FILE:fuzz_${name}>)
endfunction()

# espalier_python_test(<label> <file> [TIMEOUT <seconds>] [SERIAL])
#
# A file of Python unittest cases (it ends in unittest.main()). It finds the programs in $ESPALIER_BIN and the client package
# on its path. SERIAL keeps it from running beside other tests.
function(espalier_python_test label file)
  cmake_parse_arguments(PARSE_ARGV 2 arg "SERIAL" "TIMEOUT" "")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  get_filename_component(path ${file} ABSOLUTE)
  get_filename_component(stem ${file} NAME_WE)
  set(serial "")
  if(arg_SERIAL)
    set(serial SERIAL)
  endif()
  espalier_add_test(${label}.${stem} ${serial} LABEL ${label} TIMEOUT ${arg_TIMEOUT} COMMAND ${Python3_EXECUTABLE} ${path})
endfunction()
