"""Key files and endpoints as the Python client reads them, without a cluster."""

import os
import pathlib
import tempfile
import unittest
import warnings

import zmq
import zmq.utils.z85

from espalier import Client, Code, EspalierError, Key, Registry
from espalier.keys import split_endpoint

SECRET = bytes(range(32))
PUBLIC = bytes(zmq.utils.z85.decode(zmq.curve_public(zmq.utils.z85.encode(SECRET))))
TEXT = f'# A key\nespalier-key = "1"\nname = "eta"\npublic = "{PUBLIC.hex()}"\nsecret = "{SECRET.hex()}"\n'


class KeyFiles(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / "eta.key"
        self.write(TEXT)

    def write(self, text, mode=0o600):
        self.path.write_text(text)
        self.path.chmod(mode)

    def assert_refused(self, code, path=None):
        with self.assertRaises(EspalierError) as refused:
            Key(path or self.path)
        self.assertEqual(refused.exception.code, code)
        self.assertNotIn(SECRET.hex()[4:20], str(refused.exception))

    def test_a_key_is_what_stands_in_its_file(self):
        key = Key(self.path)
        self.assertEqual((key.name, key.public), ("eta", PUBLIC))
        self.assertNotIn(SECRET.hex(), repr(key) + str(key))

    def test_files_that_others_may_use_are_refused(self):
        for mode in (0o644, 0o640, 0o604, 0o620, 0o610):
            self.path.chmod(mode)
            self.assert_refused(Code.PERMISSION_DENIED)
        if os.geteuid() == 0:
            self.path.chmod(0o600)
            os.chown(self.path, 65534, 65534)
            self.assert_refused(Code.PERMISSION_DENIED)

    def test_links_folders_and_what_is_missing_are_refused(self):
        link = self.path.with_name("link.key")
        link.symlink_to(self.path)
        self.assert_refused(Code.FAILED_PRECONDITION, link)
        self.assert_refused(Code.FAILED_PRECONDITION, self.path.parent)
        self.assert_refused(Code.NOT_FOUND, self.path.with_name("missing.key"))

    def test_what_is_no_key_file_is_refused(self):
        for text in ("", "nothing", TEXT * 2, TEXT + 'extra = "1"\n', TEXT.replace('"1"', '"2"'), TEXT.replace('name = "eta"\n', ""),
                     TEXT.replace(SECRET.hex(), SECRET.hex()[2:]), TEXT.replace(SECRET.hex(), bytes(32).hex()), TEXT.replace(SECRET.hex(), "z" * 64)):
            self.write(text)
            self.assert_refused(Code.CORRUPT)


class Endpoints(unittest.TestCase):
    def test_an_endpoint_names_the_key_of_who_listens_there(self):
        self.assertEqual(split_endpoint("tcp://a:1#" + PUBLIC.hex()), ("tcp://a:1", PUBLIC))
        for plain in ("tcp://a:1", "ipc:///a#b", "tcp://a:1#" + PUBLIC.hex()[1:]):
            self.assertEqual(split_endpoint(plain), (plain, None))

    def test_nobody_connects_in_clear_text_where_others_could_listen_in(self):
        with tempfile.TemporaryDirectory() as private, tempfile.TemporaryDirectory() as open_to_all:
            os.chmod(open_to_all, 0o755)
            for endpoint in ("tcp://127.0.0.1:1", "tcp://10.0.0.5:4711", f"ipc://{open_to_all}/r.sock", "ipc://@abstract"):
                for what in (Client, Registry):
                    with self.subTest(endpoint), self.assertRaisesRegex(EspalierError, "anybody could answer there") as refused:
                        what([f"ipc://{private}/r.sock", endpoint])
                    self.assertEqual(refused.exception.code, Code.FAILED_PRECONDITION)
                    with self.subTest(endpoint), self.assertWarnsRegex(RuntimeWarning, "not secured"):
                        what(endpoint, insecure=True).close()
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                for what in (Client, Registry):
                    what(f"ipc://{private}/r.sock").close()
                    what(f"ipc://{open_to_all}/../{os.path.basename(private)}/r.sock").close()

    def test_without_a_key_one_is_told_to_bring_one(self):
        for what in (Client, Registry):
            with self.assertRaisesRegex(EspalierError, "needs a key"):
                what("tcp://127.0.0.1:1#" + PUBLIC.hex())


if __name__ == "__main__":
    unittest.main()
