/**
 * What a helper runs in a volume, `$1`. It needs a shell and the commands of `tools`; those of GNU and of BusyBox do.
 *
 * New content is made in a folder of the volume itself, since nothing else is as large, and comes up when it is whole; what file systems put into
 * their own roots stays.
 */
const fresh = '.cellar-new';
const own = 'lost+found';
const tools = 'tar dd stat sync mv rm mkdir chmod chown sleep';

export const helperCodes = { toolMissing: 9, cutOff: 10, unreadable: 11 } as const;

/** Waits to be told to end, or for so long; nothing that is not whole stays. */
export const waitScript = (seconds: number): string =>
  `leave() { kill $!; rm -rf "$1/${fresh}"; exit 0; }; trap 'leave "$1"' TERM; sleep ${seconds} & wait; leave "$1"`;

/**
 * Writes the archive to its output, then a mark, `$2`, and ends when it is told by a line that all of it has come: what is still on its way when a
 * command ends is lost to whoever reads slowly, and the command counts as done all the same.
 */
export const saveScript = `
command -v tar >/dev/null || { echo tar >&2; exit ${helperCodes.toolMissing}; }
cd "$1" && tar -cf - . && printf %s "$2" && read -r heard
`;

/** Reads what `framed` makes of an archive, and puts it in the place of what was there. */
export const loadScript = `
for tool in ${tools}; do command -v $tool >/dev/null || { echo $tool >&2; exit ${helperCodes.toolMissing}; }; done
echo 12 | dd bs=2 count=1 iflag=fullblock >/dev/null 2>&1 || { echo 'dd with iflag=fullblock' >&2; exit ${helperCodes.toolMissing}; }
cd "$1" && rm -rf ${fresh} && mkdir ${fresh} || exit 1
pass() {
  while read -r size && [ "$size" -gt 0 ]; do dd bs="$size" count=1 iflag=fullblock 2>/dev/null || return 1; done
  [ "$size" = 0 ]
}
codes=$({ { pass; echo pass=$? >&3; } | tar -xf - -C ${fresh} >&2; echo tar=$? >&3; } 3>&1)
case $codes in *tar=0*) ;; *) rm -rf ${fresh}; exit ${helperCodes.unreadable} ;; esac
case $codes in *pass=0*) ;; *) rm -rf ${fresh}; exit ${helperCodes.cutOff} ;; esac
rm -rf ${fresh}/${own} ${fresh}/${fresh}
sync
for name in * .[!.]* ..?*; do
  case $name in ${own}|${fresh}) ;; *) rm -rf "./$name" || exit 1 ;; esac
done
set -- $(stat -c '%a %u:%g' ${fresh})
for name in ${fresh}/* ${fresh}/.[!.]* ${fresh}/..?*; do
  if [ -e "$name" ] || [ -L "$name" ]; then mv "$name" . || exit 1; fi
done
rmdir ${fresh} && chmod "$1" . && chown "$2" . && sync
`;
