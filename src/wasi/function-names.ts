/**
 * The names of preview1's functions, in the order of the table: the order of the numbers under which calls are counted. Said
 * once more, so that a kernel whose guests run elsewhere has the names without the functions; a test compares them.
 */
export const functionNames: readonly string[] = [
  ...['args_sizes_get', 'args_get', 'environ_sizes_get', 'environ_get', 'fd_prestat_get', 'fd_prestat_dir_name'],
  ...['clock_res_get', 'clock_time_get', 'random_get', 'proc_exit', 'proc_raise', 'sched_yield'],
  ...['sock_accept', 'sock_recv', 'sock_send', 'sock_shutdown'],
  ...['fd_read', 'fd_write', 'fd_pread', 'fd_pwrite', 'fd_seek', 'fd_tell', 'fd_close', 'fd_renumber'],
  ...['fd_sync', 'fd_datasync', 'fd_advise', 'fd_allocate', 'fd_filestat_get', 'fd_filestat_set_size'],
  ...['fd_filestat_set_times', 'fd_fdstat_get', 'fd_fdstat_set_flags', 'fd_fdstat_set_rights', 'fd_readdir'],
  ...['path_open', 'path_create_directory', 'path_remove_directory', 'path_unlink_file', 'path_filestat_get'],
  ...['path_filestat_set_times', 'path_link', 'path_rename', 'path_symlink', 'path_readlink', 'poll_oneoff'],
]
