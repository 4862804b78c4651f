# The same addon as CMakeLists.txt builds, for toolchains that speak node-gyp. Sources and flags come from
# native/sources.json. gyp has no flags per file, so each instruction set is a static library of its own.
{
  'variables': {
    'sources_script': 'scripts/native/sources.mjs',
  },
  'target_defaults': {
    'include_dirs': ['native', 'native/include'],
    'defines': ['SIEVE_STATIC'],
    'cflags': ['-fPIC', '-fvisibility=hidden', '-Wall', '-Wextra'],
    'cflags!': ['-fno-exceptions'],
    'cflags_cc': ['-std=c++17', '-fvisibility-inlines-hidden', '<!@(node <(sources_script) flags common gnu)'],
    'cflags_cc!': ['-fno-exceptions', '-fno-rtti', '-std=gnu++17', '-std=gnu++20'],
    'xcode_settings': {
      'CLANG_CXX_LANGUAGE_STANDARD': 'c++17',
      'GCC_ENABLE_CPP_EXCEPTIONS': 'YES',
      'GCC_ENABLE_CPP_RTTI': 'YES',
      'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES',
      'MACOSX_DEPLOYMENT_TARGET': '11.0',
      'OTHER_CPLUSPLUSFLAGS': ['<!@(node <(sources_script) flags common gnu)'],
    },
    'msvs_settings': {
      'VCCLCompilerTool': {
        'ExceptionHandling': 1,
        'RuntimeTypeInfo': 'true',
        'AdditionalOptions': ['/std:c++17', '/utf-8', '<!@(node <(sources_script) flags common msvc)'],
      },
    },
  },
  'targets': [
    {
      'target_name': 'onnx_sieve',
      'sources': ['<!@(node <(sources_script) sources core)', '<!@(node <(sources_script) sources addon)'],
      'include_dirs': ["<!(node -p \"require('path').dirname(require.resolve('node-addon-api/package.json'))\")"],
      'defines': [
        'NAPI_VERSION=8',
        'NODE_ADDON_API_CPP_EXCEPTIONS_ALL',
        'NODE_ADDON_API_DISABLE_DEPRECATED',
        'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
      ],
      'conditions': [
        ['target_arch=="x64"', { 'dependencies': ['sieve_avx2', 'sieve_avx512', 'sieve_avx512_bf16', 'sieve_amx'] }],
        ['target_arch=="arm64"', { 'sources': ['<!@(node <(sources_script) sources neon)'] }],
        ['OS!="win"', { 'libraries': ['-pthread'] }],
        ['OS=="linux"', { 'ldflags': ['-Wl,-z,now'] }],
      ],
    },
  ],
  'conditions': [
    ['target_arch=="x64"', {
      'targets': [
        {
          'target_name': 'sieve_avx2',
          'type': 'static_library',
          'sources': ['<!@(node <(sources_script) sources avx2)'],
          'cflags_cc': ['<!@(node <(sources_script) flags avx2 gnu)'],
          'xcode_settings': { 'OTHER_CPLUSPLUSFLAGS': ['<!@(node <(sources_script) flags avx2 gnu)'] },
          'msvs_settings': {
            'VCCLCompilerTool': { 'AdditionalOptions': ['<!@(node <(sources_script) flags avx2 msvc)'] },
          },
        },
        {
          'target_name': 'sieve_avx512',
          'type': 'static_library',
          'sources': ['<!@(node <(sources_script) sources avx512)'],
          'cflags_cc': ['<!@(node <(sources_script) flags avx512 gnu)'],
          'xcode_settings': { 'OTHER_CPLUSPLUSFLAGS': ['<!@(node <(sources_script) flags avx512 gnu)'] },
          'msvs_settings': {
            'VCCLCompilerTool': { 'AdditionalOptions': ['<!@(node <(sources_script) flags avx512 msvc)'] },
          },
        },
        {
          'target_name': 'sieve_avx512_bf16',
          'type': 'static_library',
          'sources': ['<!@(node <(sources_script) sources avx512_bf16)'],
          'cflags_cc': ['<!@(node <(sources_script) flags avx512_bf16 gnu)'],
          'xcode_settings': { 'OTHER_CPLUSPLUSFLAGS': ['<!@(node <(sources_script) flags avx512_bf16 gnu)'] },
          'msvs_settings': {
            'VCCLCompilerTool': { 'AdditionalOptions': ['<!@(node <(sources_script) flags avx512_bf16 msvc)'] },
          },
        },
        {
          'target_name': 'sieve_amx',
          'type': 'static_library',
          'sources': ['<!@(node <(sources_script) sources amx)'],
          'cflags_cc': ['<!@(node <(sources_script) flags amx gnu)'],
          'xcode_settings': { 'OTHER_CPLUSPLUSFLAGS': ['<!@(node <(sources_script) flags amx gnu)'] },
          'msvs_settings': {
            'VCCLCompilerTool': { 'AdditionalOptions': ['<!@(node <(sources_script) flags amx msvc)'] },
          },
        },
      ],
    }],
  ],
}
