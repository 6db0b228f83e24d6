/** Start the editor: make its parts, mount its views, open what is to be shown. */
