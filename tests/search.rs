//! Search over the folder that files serves: every condition, and all of them together.

use serde_json::{Value, json};
use tonic::Code;

use crate::support::{assert_fails, everywhere};

const SEARCH: &str = "malla.search.v1.SearchService/SearchFiles";

#[tokio::test(flavor = "multi_thread")]
async fn files_are_found_by_name_part_glob_and_content() {
    everywhere(async |mesh, lane| {
        let folder = mesh.data_dir().join("files/s");
        std::fs::create_dir_all(folder.join("deep")).unwrap();
        for (path, text) in
            [("Informe.txt", "uno\ndos naranjas"), ("deep/informe-2.md", "tres"), ("otro.bin", "naranjas")]
        {
            std::fs::write(folder.join(path), text).unwrap();
        }
        let rows = [
            (json!({"name": "Informe.txt"}), vec!["s/Informe.txt"]),
            (json!({"substring": "INFORME"}), vec!["s/Informe.txt", "s/deep/informe-2.md"]),
            (json!({"glob": "*.{md,bin}"}), vec!["s/deep/informe-2.md", "s/otro.bin"]),
            (json!({"pattern": "informe-?.md"}), vec!["s/deep/informe-2.md"]),
            (json!({"pattern": "otro"}), vec!["s/otro.bin"]),
            (json!({"content": "naranjas"}), vec!["s/Informe.txt", "s/otro.bin"]),
            (json!({"content": "naranjas", "glob": "*.txt"}), vec!["s/Informe.txt"]),
            (json!({"name": "no such"}), vec![]),
        ];
        for (request, expected) in rows {
            let found = lane.call(SEARCH, request.clone()).await.unwrap();
            let paths: Vec<&Value> = found["files"]
                .as_array()
                .unwrap()
                .iter()
                .map(|file| &file["path"])
                .filter(|path| path.as_str().unwrap().starts_with("s/"))
                .collect();
            assert_eq!(
                paths,
                expected.iter().map(|path| json!(path)).collect::<Vec<_>>().iter().collect::<Vec<_>>(),
                "{request}"
            );
        }
        let lines = lane.call(SEARCH, json!({"content": "dos naranjas"})).await.unwrap();
        assert_eq!(lines["files"][0]["line"], json!(2));
        assert_fails(lane.call(SEARCH, json!({})).await, Code::InvalidArgument, "");
        assert_fails(lane.call(SEARCH, json!({"glob": "[a"})).await, Code::InvalidArgument, "glob");
    })
    .await;
}
