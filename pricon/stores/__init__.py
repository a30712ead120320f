"""Kinds of storage behind `pricon.storage`: a folder, and an object store that speaks S3.

storage.open_storage -> folder.FolderStorage | s3.S3Storage

Must not import anything of pricon but errors and spec.
"""
