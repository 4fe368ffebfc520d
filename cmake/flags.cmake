# Compiler and linker flags that every target of the project shares.
add_library(cnnfast_flags INTERFACE)

if(NOT CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
  message(FATAL_ERROR
    "cnnfast needs GCC or Clang (on Windows: clang-cl): its kernels are written with their vector extensions; "
    "the compiler found is ${CMAKE_CXX_COMPILER_ID}.")
endif()

if(MSVC)
  # clang-cl reads -Wall as "everything", and hides Clang's own options behind a prefix.
  set(cnnfast_clang "/clang:")
  target_compile_options(cnnfast_flags INTERFACE -W4 -Wextra -Wshadow)
else()
  set(cnnfast_clang "")
  target_compile_options(cnnfast_flags INTERFACE -Wall -Wextra -Wshadow)
endif()
if(CNNFAST_WERROR)
  target_compile_options(cnnfast_flags INTERFACE -Werror)
endif()

# Fused multiply-adds only where the source says so.
target_compile_options(cnnfast_flags INTERFACE
  ${cnnfast_clang}-ffp-contract=off ${cnnfast_clang}-fno-math-errno)

if(NOT CNNFAST_SANITIZE)
  # Also where the build type's own default is lower. CNNFAST_COLD marks a target in which nothing is hot.
  set(level ${cnnfast_clang}$<IF:$<BOOL:$<TARGET_PROPERTY:CNNFAST_COLD>>,-Os,-O3>)
  target_compile_options(cnnfast_flags INTERFACE $<$<CONFIG:Release,RelWithDebInfo>:${level}>)
else()
  # -O1: at -O3 the unrolled kernels take four times as long to compile with all their checks.
  target_compile_options(cnnfast_flags INTERFACE -O1
    -fsanitize=${CNNFAST_SANITIZE} -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g)
  target_link_options(cnnfast_flags INTERFACE -fsanitize=${CNNFAST_SANITIZE})
endif()

find_package(OpenMP COMPONENTS CXX)
if(NOT OpenMP_CXX_FOUND)
  message(WARNING "No OpenMP found: cnnfast will run on one thread (on macOS: brew install libomp).")
endif()
