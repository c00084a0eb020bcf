//! googleapis/gapic-showcase, `util/genrest/gomodel`. Its compliance suite runs as a check of its own.

use crate::support::{Rows, alone, parsed};

/// `pathtemplateparser_test.go` and `pathtemplate_test.go`. Variables within variables, an extension of theirs, are
/// refused: item 5. Theirs refuses `@`, which is of a `pchar`: item 9.
const TEMPLATES: Rows = &[
    ("/aa/cc/ee/*/gg/ii/jj/*/kk/**:ll", "/aa/cc/ee/*/gg/ii/jj/*/kk/**:ll"),
    (
        "/aa/{bb}/cc/{dd=ee/*/gg}/{hh=ii/jj/*/kk/**}:ll",
        "/aa/*/cc/ee/*/gg/ii/jj/*/kk/**:ll bb=* dd=ee/*/gg hh=ii/jj/*/kk/**",
    ),
    ("/aa/{bb}/cc/{dd=ee/*/gg/{hh=ii/jj/*/kk}/**}:ll", "refused"),
    ("/@aa/bb", "/@aa/bb"),
    ("/aa/bb:@dd", "/aa/bb:@dd"),
    ("/aa/bb:cc@", "/aa/bb:cc@"),
    ("/aa/", "refused"),
    ("//bb", "refused"),
    ("/a@/", "refused"),
    ("/aa/:bb", "refused"),
    ("/aa/:bb:cc", "refused"),
    ("/aa/:bb/cc/dd:ee", "refused"),
    ("aa/bb", "refused"),
    ("/aa/bb:d/d", "refused"),
    ("/aa/{}", "refused"),
    ("/aa/{bb=}", "refused"),
    ("/aa/{bb=/cc}", "refused"),
    ("/aa/{bb=cc/}", "refused"),
    ("/aa/{bb=cc/@}", "/aa/cc/@ bb=cc/@"),
    ("/aa/{@bb=cc}", "refused"),
];

#[test]
fn templates() {
    for (text, expected) in TEMPLATES {
        assert_eq!(parsed(text), *expected, "{text}");
    }
}

/// `pathtemplatematch_test.go`: which templates have a path in common. Here the path, those that have it and those that
/// do not.
const PATHS: &[(&str, &[&str], &[&str])] = &[
    ("/zz", &["/zz"], &["/zz/yy", "/zz:xx", "/zz/yy:xx"]),
    ("/zz/yy", &["/zz/yy"], &["/zz", "/zz/yy:xx"]),
    ("/zz/yy:xx", &["/zz/yy:xx"], &["/zz", "/zz:xx", "/zz/yy"]),
    ("/zz/yy/xx/vv", &["/zz/yy/xx/vv", "/zz/yy/{ww}/vv"], &[]),
    ("/zz/yy/xx/vv:uu", &["/zz/yy/xx/vv:uu", "/zz/yy/{ww}/vv:uu"], &[]),
    ("/zz/yy/xx:uu", &["/zz/yy/xx:uu", "/zz/yy/{ww}:uu"], &[]),
    ("/zz/yy/ww/tt/vv:uu", &["/zz/yy/ww/tt/vv:uu", "/zz/yy/{xx=ww/*}/vv:uu"], &[]),
    ("/zz/yy/ww/tt:uu", &["/zz/yy/ww/tt:uu", "/zz/yy/{xx=ww/*}:uu"], &[]),
    ("/zz/yy/xx/ww/vv", &["/zz/yy/xx/ww/vv", "/zz/{pp=yy/xx/**}"], &["/zz/{pp=yy/xx/**}:rr"]),
    // Theirs not the last: D11.
    ("/zz/yy/xx/ww/vv:rr", &["/zz/yy/xx/ww/vv:rr", "/zz/{pp=yy/xx/**}:rr", "/zz/{pp=yy/xx/**}"], &["/zz/yy/xx/ww/vv"]),
    ("/zz/yy/xx/ww/vv:ss", &["/zz/yy/xx/ww/vv:ss"], &["/zz/{pp=yy/xx/**}:rr"]),
    ("/zz/yy/ww/tt/vv", &["/zz/yy/{xx=ww/*}/vv", "/zz/yy/{tt=ww/*}/vv"], &[]),
    ("/zz/yy/ww/tt/vv/rr/qq/pp", &["/zz/yy/{xx=ww/*}/vv/{ss=rr/*/pp}", "/zz/yy/ww/{xx}/vv/{oo=rr/*/pp}"], &[]),
    (
        "/zz/yy/ww/tt/uu",
        &["/zz/yy/{xx=ww/**}", "/zz/yy/ww/{vv}/uu", "/zz/yy/{vv=ww/*}/uu"],
        &["/zz/yy/{xx=ww/**}:tt", "/zz/yy/{vv=ww/*}/uu:tt"],
    ),
    // Theirs not the last: D11.
    (
        "/zz/yy/ww/ss/uu:tt",
        &["/zz/yy/{xx=ww/**}:tt", "/zz/yy/ww/{vv}/uu:tt", "/zz/yy/{vv=ww/*}/uu:tt", "/zz/yy/{xx=ww/**}"],
        &["/zz/yy/ww/{vv}/uu", "/zz/yy/{xx=ww/**}:ss"],
    ),
];

#[test]
fn common_paths() {
    for (path, have, lack) in PATHS {
        for (rule, has) in have.iter().map(|rule| (rule, true)).chain(lack.iter().map(|rule| (rule, false))) {
            assert_eq!(alone(rule, path) != "404", has, "{path} of {rule}");
        }
    }
}
