# What `cmake --install` and the packages hold, in components: the program, the shared library, what is needed to build
# with it (dev), and the module for several processes where MPI was found (mpi).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS gan COMPONENT program)
# A system's program needs no path to the system's libraries.
install(CODE "
  if(CMAKE_INSTALL_PREFIX STREQUAL /usr)
    file(RPATH_REMOVE FILE \"\$ENV{DESTDIR}/usr/${CMAKE_INSTALL_BINDIR}/gan\")
  endif()" COMPONENT program)
# The program itself prints its manual page and completions, so that they cannot differ from its options.
if(CMAKE_CROSSCOMPILING)
  message(STATUS "Cross compiling: the manual page and completions are not installed")
else()
  set(pages "${PROJECT_BINARY_DIR}/pages")
  install(CODE "
    file(MAKE_DIRECTORY \"${pages}\")
    foreach(shell bash zsh fish)
      execute_process(COMMAND \"$<TARGET_FILE:gan>\" completions \${shell} OUTPUT_FILE \"${pages}/gan.\${shell}\"
        COMMAND_ERROR_IS_FATAL ANY)
    endforeach()
    execute_process(COMMAND \"$<TARGET_FILE:gan>\" man COMMAND gzip -9n OUTPUT_FILE \"${pages}/gan.1.gz\"
      COMMAND_ERROR_IS_FATAL ANY)" COMPONENT program)
  install(FILES "${pages}/gan.1.gz" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1" COMPONENT program)
  install(FILES "${pages}/gan.bash" DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions" RENAME gan
    COMPONENT program)
  # Debian's zsh looks for what packages bring in a folder of its own.
  install(CODE "
    set(folder \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}/zsh/site-functions\")
    if(CMAKE_INSTALL_PREFIX STREQUAL /usr)
      set(folder \"/usr/share/zsh/vendor-completions\")
    endif()
    file(INSTALL \"${pages}/gan.zsh\" DESTINATION \"\${folder}\" RENAME _gan)" COMPONENT program)
  install(FILES "${pages}/gan.fish" DESTINATION "${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d"
    COMPONENT program)
endif()

set(components program library dev)
if(TARGET gan_mpi)
  list(APPEND components mpi)
  install(TARGETS gan_mpi LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT mpi)
endif()

install(TARGETS gan_shared EXPORT gan LIBRARY COMPONENT library NAMELINK_COMPONENT dev)
install(TARGETS gan_static EXPORT gan ARCHIVE COMPONENT dev)
install(DIRECTORY include/gan TYPE INCLUDE COMPONENT dev)
install(EXPORT gan NAMESPACE gan:: FILE gan-config.cmake DESTINATION "${CMAKE_INSTALL_LIBDIR}/cmake/gan" COMPONENT dev)
set(version_file "${PROJECT_BINARY_DIR}/gan-config-version.cmake")
write_basic_package_version_file("${version_file}" COMPATIBILITY SameMinorVersion)
install(FILES "${version_file}" DESTINATION "${CMAKE_INSTALL_LIBDIR}/cmake/gan" COMPONENT dev)
file(RELATIVE_PATH to_prefix "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
string(REGEX REPLACE "/$" "" to_prefix "${to_prefix}")
configure_file(cmake/gan.pc.in gan.pc @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/gan.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT dev)

# Licences: of gan.cpp, and of what becomes a part of the library (headers) and of the program (and archives).
set(package_program gan)
set(package_library libgan0.1)
set(package_dev libgan-dev)
set(package_mpi gan-mpi)
set(parts_library libhwy-dev libxbyak-dev libfmt-dev libtomlplusplus-dev nlohmann-json3-dev)
set(parts_program ${parts_library} libeigen3-dev libcli11-dev libboost-dev libjpeg62-turbo-dev libwebp-dev libjs-chart.js)
set(parts_dev "")
set(parts_mpi "")
foreach(component ${components})
  set(folder "${CMAKE_INSTALL_DATADIR}/doc/${package_${component}}")
  install(FILES LICENSE DESTINATION "${folder}" RENAME copyright COMPONENT ${component})
  foreach(part IN LISTS parts_${component})
    install(FILES "/usr/share/doc/${part}/copyright" DESTINATION "${folder}/licences" RENAME "${part}.txt"
      COMPONENT ${component} OPTIONAL)
  endforeach()
endforeach()
install(FILES docs/licences.md DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/gan" COMPONENT program)

# Debian packages, one for each component: cpack -G DEB, or scripts/package.sh.
set(CPACK_PACKAGE_VENDOR "gan.cpp")
set(CPACK_PACKAGE_CONTACT "gan.cpp")
set(CPACK_GENERATOR DEB)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL ${components})
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "gan.cpp <gan.cpp@localhost>")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)  # what the files link, at the versions of the Debian that builds
foreach(component ${components})
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${package_${component}})
endforeach()
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SUGGESTS "npm, libfreetype6")
set(CPACK_DEBIAN_PROGRAM_DESCRIPTION "The program gan trains on pictures, tables and arrays, scores models, draws
samples by label or number, and exports models to other programs.")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_LIBRARY_DESCRIPTION "The shared library opens models that the program gan has trained, and draws from
them in any number of threads.")
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "${package_library} (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_DEV_PACKAGE_SUGGESTS "libdnnl-dev, pkg-config, cmake")
set(CPACK_DEBIAN_DEV_DESCRIPTION "Headers for C and C++, the static library, and files for CMake and pkg-config.
Programs that link the static library need libdnnl-dev, too.")
set(CPACK_DEBIAN_MPI_PACKAGE_SECTION science)
set(CPACK_DEBIAN_MPI_PACKAGE_DEPENDS "${package_program} (= ${PROJECT_VERSION}), openmpi-bin")
set(CPACK_DEBIAN_MPI_DESCRIPTION "A module of the program gan with which it trains and draws in several processes, on one
machine or several, that mpirun or srun have started.")
include(CPack)
