/** The alias under which Express 4 is installed; for what tests do, its types are those of Express 5. */
declare module 'express4' {
  import express from 'express';
  export default express;
}
