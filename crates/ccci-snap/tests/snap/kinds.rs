//! The kinds of entry that a snapshot keeps. Each is made by the system's own tools in a directory of its own name.

use std::path::Path;

use crate::world::sh;

/// A kind's name, as docs/snapshots.md has it, and the script that makes it.
pub(crate) const KINDS: &[(&str, &str)] = &[
    ("an empty file", "touch f"),
    ("a small file", "echo hello > f"),
    ("a file of one block", "head -c 512 /dev/urandom > f"),
    ("a file of many reads", "head -c 3000001 /dev/urandom > f"),
    ("a file of zeros that are data", "head -c 65536 /dev/zero > f"),
    ("an empty directory", "mkdir d"),
    ("directories in directories", "mkdir -p a/b/c/d/e/f; echo x > a/b/c/d/e/f/g"),
    ("a directory of many names", "seq -f 'name-%05g' 2000 | xargs touch"),
    (
        "a path of three thousand bytes",
        "n=$(printf 'd%.0s' {1..99}); for i in {1..28}; do mkdir $n; cd $n; done; echo deep > end; ln end other",
    ),
    ("a sticky directory", "mkdir d; chmod 1777 d"),
    ("a directory with setgid", "mkdir d; chgrp 33 d; chmod 2770 d; touch d/inherits"),
    ("a directory that nobody may read", "mkdir d; echo x > d/inside; chmod 0 d"),
    ("a directory that nobody may write to", "mkdir d; echo x > d/inside; chmod 0555 d"),
    ("a file that nobody may read", "echo x > f; chmod 0 f"),
    ("setuid and setgid programs", "cp /bin/true u; cp u g; chown 999:998 u g; chmod 4755 u; chmod 2711 g"),
    ("another owner", "echo x > f; mkdir d; chown 999:998 f d"),
    ("an owner beyond two million", "echo x > f; chown 3000000000:4000000000 f"),
    (
        "a time with nanoseconds",
        "touch -m -d '2020-02-03 04:05:06.123456789' f; mkdir d; touch -d '2001-01-01 00:00:00.000000001' d",
    ),
    ("a time before 1970", "touch -m -d '1969-12-31 23:59:58.25 UTC' f; touch -m -d '1930-01-01' g"),
    ("a time to come", "touch -m -d '2199-01-01' f"),
    ("a relative link", "echo x > f; ln -s f l"),
    ("an absolute link", "ln -s /etc/passwd l"),
    ("a link to a directory outside", "ln -s ../../../../../etc l; ln -s .. up"),
    ("a link that leads nowhere, with a long target", "ln -s $(printf 'x%.0s' {1..999}) l"),
    (
        "a link with owner and time of its own",
        "ln -s nowhere l; chown -h 999:998 l; touch -h -d '2011-11-11' l",
    ),
    ("a link with attributes", "ln -s nowhere l; setfattr -h -n trusted.t -v v l"),
    ("two names of one file", "echo x > a; ln a b"),
    ("names of one file in several directories", "mkdir p q; echo x > q/a; ln q/a p/b; ln q/a c"),
    ("two names of a link", "ln -s nowhere a; ln -P a b"),
    ("two names of a fifo and of a socket", "mkfifo a; ln a b; mksocket c; ln c d"),
    ("a hole at the beginning", "truncate -s 1M f; echo x >> f"),
    ("a hole at the end", "head -c 10000 /dev/urandom > f; truncate -s 5M f"),
    ("a file that is all hole", "truncate -s 20M f"),
    (
        "many holes",
        "for i in $(seq 0 2 60); do dd if=/dev/urandom of=f bs=64k count=1 seek=$i conv=notrunc status=none; done",
    ),
    ("a hole that is not on a block", "echo a > f; truncate -s 100001 f; echo b >> f; truncate -s 200003 f"),
    ("a fifo", "mkfifo -m 640 f; chown 1:2 f"),
    ("a socket", "mksocket s; chmod 0755 s; chown 3:4 s"),
    ("a character device", "mknod -m 666 c c 1 3"),
    ("a block device", "mknod -m 660 b b 7 1234"),
    (
        "an attribute with any bytes",
        "touch f; setfattr -n user.b -v 0x00ff0a3d00 f; mkdir d; setfattr -n user.d -v x d",
    ),
    ("an attribute without value", "touch f; setfattr -n user.empty f"),
    ("an attribute with an odd name", "touch f; setfattr -n 'user.a=b%3Dc d' -v x f"),
    ("a large attribute", "touch f; setfattr -n user.large -v $(printf 'x%.0s' {1..2000}) f"),
    (
        "attributes of the system",
        "cp /bin/true f; setfattr -n trusted.t -v v f; setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 f; mkdir d; setfattr -n security.x -v y d",
    ),
    (
        "a capability on a file of another owner",
        "cp /bin/true f; chown 999 f; setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 f",
    ),
    ("an ACL", "touch f; setfacl -m u:999:rw,g:33:r,m::rw f; mkdir d; setfacl -m u:1:x d"),
    (
        "an ACL that children inherit",
        "mkdir d; echo x > d/before; setfacl -d -m u:999:rwx d; echo y > d/after; mkdir d/sub",
    ),
    ("a name of 255 bytes", "touch $(printf 'n%.0s' {1..255}); mkdir $(printf 'm%.0s' {1..255})"),
    ("a name that is no text", "touch $'\\xff\\xfe\\x80'; mkdir $'d\\xc3'; ln -s $'\\xff' $'l\\x81'"),
    (
        "names with spaces, lines and signs",
        "touch -- ' ' $'new\\nline' $'tab\\t' '*' '-rf' '\"' \"'\" '\\' '$(x)' '...' '.hidden' 'a=b' '%41'",
    ),
];

/// Makes one of each, and gives the root directory a face of its own.
pub(crate) fn make(tree: &Path) {
    let socket = "mksocket() { perl -MSocket -e 'socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die; bind($s, pack_sockaddr_un($ARGV[0])) or die' \"$1\"; }";
    for (number, (_, script)) in KINDS.iter().enumerate() {
        sh(tree, &format!("{socket}; mkdir kind-{number:02}; cd kind-{number:02}; {script}"));
    }
    sh(
        tree,
        "chown 70:71 .; setfattr -n user.root -v yes .; setfacl -d -m u:70:rwx .; chmod 3710 .; touch -d '2022-02-02 02:02:02.222222222' .",
    );
}
