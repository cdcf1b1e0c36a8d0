# One file is one thing (an op, a model, a loss, an optimizer, a subcommand, a preset), and adding one touches that file
# alone: the functions below look into the folders when CMake configures and write the tables that list what is there.

set(GAN_TABLES "")
set(GAN_CLI_TABLES "")
set(gan_table_folder "${PROJECT_BINARY_DIR}/tables")

# Writes a file unless it holds this text already, so that a new configure does not compile anything again.
function(gan_write_if_different path text)
  if(EXISTS "${path}")
    file(READ "${path}" old_text)
    if(old_text STREQUAL text)
      return()
    endif()
  endif()
  file(WRITE "${path}" "${text}")
endfunction()

# gan_table(<list> FOLDER ops TYPE graph::Op SUFFIX op HEADER graph/op.h FUNCTION graph::op_table)
#
# Looks for lines `const Op NAME_op` (with or without `extern` and namespaces) in src/<FOLDER>/*.cpp, where namespace
# gan::<FOLDER> defines them; files whose names start with `_` are left out. Writes `std::span<const Op* const>
# op_table()`, ordered by name, and appends its source to <list>.
function(gan_table list)
  cmake_parse_arguments(arg "" "FOLDER;TYPE;SUFFIX;HEADER;FUNCTION" "" ${ARGN})
  string(REGEX REPLACE "::.*" "" type_namespace "${arg_TYPE}")
  string(REGEX REPLACE ".*::" "" type_name "${arg_TYPE}")
  string(REGEX REPLACE ".*::" "" function_name "${arg_FUNCTION}")

  file(GLOB files CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/${arg_FOLDER}/*.cpp")
  set(names "")
  foreach(file IN LISTS files)
    get_filename_component(file_name "${file}" NAME)
    if(file_name MATCHES "^_")
      continue()
    endif()
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
    file(READ "${file}" text)
    string(REGEX MATCHALL "\n(extern )?const ([a-z]+::)*${type_name} [a-z0-9_]+_${arg_SUFFIX}[ ;={]" found "\n${text}")
    foreach(line IN LISTS found)
      string(REGEX MATCH "[a-z0-9_]+_${arg_SUFFIX}" name "${line}")
      if(name)
        list(APPEND names "${name}")
      endif()
    endforeach()
  endforeach()
  list(REMOVE_DUPLICATES names)
  list(SORT names)

  set(declarations "")
  set(entries "")
  foreach(name IN LISTS names)
    string(APPEND declarations "extern const ${arg_TYPE} ${name};\n")
    string(APPEND entries "      &gan::${arg_FOLDER}::${name},\n")
  endforeach()
  if(entries)
    set(body "  static constexpr const ${type_name}* kTable[] = {\n${entries}  };\n  return kTable;\n")
  else()
    set(body "  return {};\n")
  endif()
  set(path "${gan_table_folder}/${function_name}.cpp")
  gan_write_if_different("${path}" "// Written by cmake/tables.cmake from src/${arg_FOLDER}/*.cpp: do not edit.
#include <span>

#include \"${arg_HEADER}\"

namespace gan::${arg_FOLDER} {
${declarations}}  // namespace gan::${arg_FOLDER}

namespace gan::${type_namespace} {

std::span<const ${type_name}* const> ${function_name}() {
${body}}

}  // namespace gan::${type_namespace}
")
  set(${list} ${${list}} "${path}" PARENT_SCOPE)
endfunction()

# gan_preset_table(<list>): presets/NAME.toml become string literals, ordered by name.
function(gan_preset_table list)
  file(GLOB files CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/presets/*.toml")
  set(names "")
  foreach(file IN LISTS files)
    get_filename_component(name "${file}" NAME_WE)
    list(APPEND names "${name}")
  endforeach()
  list(SORT names)
  set(entries "")
  foreach(name IN LISTS names)
    set(file "${PROJECT_SOURCE_DIR}/presets/${name}.toml")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
    file(READ "${file}" text)
    string(APPEND entries "      {\"${name}\", R\"toml(${text})toml\"},\n")
  endforeach()
  set(path "${gan_table_folder}/embedded_presets.cpp")
  gan_write_if_different("${path}" "// Written by cmake/tables.cmake from presets/*.toml: do not edit.
#include <span>

#include \"train/preset.h\"

namespace gan::train {

std::span<const EmbeddedPreset> embedded_presets() {
  static constexpr EmbeddedPreset kPresets[] = {
${entries}  };
  return kPresets;
}

}  // namespace gan::train
")
  set(${list} ${${list}} "${path}" PARENT_SCOPE)
endfunction()

# gan_page_table(<list>): the files of src/pages and the library that plots in them become string literals.
function(gan_page_table list)
  file(GLOB files CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/pages/*.html" "${PROJECT_SOURCE_DIR}/src/pages/*.css"
    "${PROJECT_SOURCE_DIR}/src/pages/*.js")
  list(SORT files)
  set(entries "")
  foreach(file IN LISTS files CHART_JS)
    get_filename_component(name "${file}" NAME)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
    file(READ "${file}" text)
    if(file STREQUAL CHART_JS)
      set(name "chart.js")
    endif()
    string(APPEND entries "      {\"${name}\", R\"gan_asset(${text})gan_asset\"},\n")
  endforeach()
  set(path "${gan_table_folder}/page_assets.cpp")
  gan_write_if_different("${path}" "// Written by cmake/tables.cmake from src/pages/* and ${CHART_JS}: do not edit.
#include \"pages/assets.h\"

namespace gan::pages {

std::span<const Asset> assets() {
  static constexpr Asset kAssets[] = {
${entries}  };
  return kAssets;
}

}  // namespace gan::pages
")
  set(${list} ${${list}} "${path}" PARENT_SCOPE)
endfunction()

gan_table(GAN_TABLES FOLDER ops TYPE graph::Op SUFFIX op HEADER graph/op.h FUNCTION graph::op_table)
gan_table(GAN_TABLES FOLDER models TYPE models::Model SUFFIX model HEADER models/model.h FUNCTION models::model_table)
gan_table(GAN_TABLES FOLDER losses TYPE losses::Loss SUFFIX loss HEADER losses/loss.h FUNCTION losses::loss_table)
gan_table(GAN_TABLES FOLDER losses TYPE losses::Penalty SUFFIX penalty HEADER losses/loss.h
          FUNCTION losses::penalty_table)
gan_table(GAN_TABLES FOLDER optim TYPE optim::Optimizer SUFFIX optimizer HEADER optim/optimizer.h
          FUNCTION optim::optimizer_table)
gan_preset_table(GAN_TABLES)
gan_table(GAN_TABLES FOLDER data TYPE data::Reader SUFFIX reader HEADER data/reader.h FUNCTION data::reader_table)
gan_table(GAN_CLI_TABLES FOLDER cli TYPE cli::Command SUFFIX command HEADER cli/command.h FUNCTION cli::command_table)
gan_page_table(GAN_CLI_TABLES)
