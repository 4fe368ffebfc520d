# Compiles the one list of kernel sources once per instruction set.
#
# Kernel objects are compiled without LTO, and every symbol in them lives in a namespace named after its instruction
# set or is local to its file: an inline function shared with the rest of the program could otherwise be emitted here
# with AVX-512 in it, and the linker might keep that copy for every caller.
file(GLOB CNNFAST_KERNEL_SOURCES CONFIGURE_DEPENDS csrc/kernels/*.cpp)

set(CNNFAST_KERNEL_LIBRARIES)
set(CNNFAST_ISA_DEFINITIONS)

add_custom_target(cnnfast_kernels)

function(cnnfast_add_isa name)
  string(TOUPPER ${name} upper)
  add_library(cnnfast_kernels_${name} OBJECT ${CNNFAST_KERNEL_SOURCES})
  target_include_directories(cnnfast_kernels_${name} PRIVATE csrc)
  target_compile_definitions(cnnfast_kernels_${name} PRIVATE CNNFAST_ISA=${name})
  target_link_libraries(cnnfast_kernels_${name} PRIVATE cnnfast_flags)
  target_compile_options(cnnfast_kernels_${name} PRIVATE ${ARGN} -fno-lto
    # GCC warns of the undefined registers inside its own AVX-512 intrinsics.
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  add_dependencies(cnnfast_kernels cnnfast_kernels_${name})
  set(CNNFAST_KERNEL_LIBRARIES ${CNNFAST_KERNEL_LIBRARIES} cnnfast_kernels_${name} PARENT_SCOPE)
  set(CNNFAST_ISA_DEFINITIONS ${CNNFAST_ISA_DEFINITIONS} CNNFAST_HAVE_${upper}=1 PARENT_SCOPE)
endfunction()

if(CMAKE_OSX_ARCHITECTURES)
  set(cnnfast_cpu ${CMAKE_OSX_ARCHITECTURES})
else()
  set(cnnfast_cpu ${CMAKE_SYSTEM_PROCESSOR})
endif()

if(cnnfast_cpu MATCHES "^(x86_64|AMD64|amd64)$")
  cnnfast_add_isa(baseline)
  # To fetch for writing does nothing on processors that have AVX2 but not that.
  cnnfast_add_isa(avx2 -mavx2 -mfma -mprfchw)
  cnnfast_add_isa(avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mprfchw -mprefer-vector-width=512)
elseif(cnnfast_cpu MATCHES "^(aarch64|arm64|ARM64)$")
  cnnfast_add_isa(neon)
else()
  cnnfast_add_isa(baseline)
endif()
