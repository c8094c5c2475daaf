# The libraries from the distribution, each under a short name: espalier::zmq, espalier::msgpack and so on.
# A target links only the names it includes.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

# The static LevelDB names snappy as a plain library.
find_package(Snappy REQUIRED)
find_package(leveldb REQUIRED)
find_package(Eigen3 3.4 REQUIRED NO_MODULE)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(prometheus-cpp REQUIRED)
pkg_check_modules(zmq REQUIRED IMPORTED_TARGET libzmq)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(tcmalloc REQUIRED IMPORTED_TARGET libtcmalloc_minimal)

# libzmq and cppzmq (zmq.hpp lies beside zmq.h).
add_library(espalier::zmq ALIAS PkgConfig::zmq)
add_library(espalier::leveldb ALIAS leveldb::leveldb)
add_library(espalier::eigen ALIAS Eigen3::Eigen)
add_library(espalier::spdlog ALIAS spdlog::spdlog)
add_library(espalier::cli11 ALIAS CLI11::CLI11)
add_library(espalier::json ALIAS nlohmann_json::nlohmann_json)
add_library(espalier::prometheus ALIAS prometheus-cpp::core)
add_library(espalier::toml ALIAS PkgConfig::tomlplusplus)
add_library(espalier::xxhash ALIAS PkgConfig::xxhash)
add_library(espalier::sodium ALIAS PkgConfig::sodium)
add_library(espalier::threads ALIAS Threads::Threads)

# msgpack-cxx is headers only; its own package would ask for Boost, which it does not need with this definition.
find_path(MSGPACK_INCLUDE_DIR msgpack.hpp REQUIRED)
mark_as_advanced(MSGPACK_INCLUDE_DIR)
add_library(espalier_msgpack INTERFACE)
target_include_directories(espalier_msgpack SYSTEM INTERFACE ${MSGPACK_INCLUDE_DIR})
target_compile_definitions(espalier_msgpack INTERFACE MSGPACK_NO_BOOST)
add_library(espalier::msgpack ALIAS espalier_msgpack)

if(ESPALIER_TESTS)
  find_package(GTest REQUIRED)
  # The distribution's Python, because its zmq and msgpack packages come from there.
  find_program(Python3_EXECUTABLE python3 PATHS /usr/bin NO_DEFAULT_PATH REQUIRED)
  add_library(espalier::gtest ALIAS GTest::gtest)
endif()
if(ESPALIER_BENCH)
  find_package(benchmark REQUIRED)
  add_library(espalier::benchmark ALIAS benchmark::benchmark)
endif()
